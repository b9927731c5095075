"""The log: the shipper carries the spool to Kafka, the sink carries Kafka to the lake. Every answered row arrives once.

    answered = lake + dead letters + in flight + counted drops

holds after any kill, outage or full disk, because

1. a row is numbered (writer, epoch, sequence) and on the spool before it is answered;
2. the shipper forgets it only after the broker has acknowledged it, and has at most one record of a stream under way, so that
   the numbers in Kafka never run backwards except to repeat;
3. the sink writes rows and the numbers it has reached in one commit, and skips what lies below.
"""
