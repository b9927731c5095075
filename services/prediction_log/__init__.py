"""The prediction log: the shipper sends the spool to Kafka, the sink writes Kafka to the lake. Every answered row arrives once.

    answered = lake + dead letters + in flight + counted drops

holds after any kill, outage or full disk:

1. a row is numbered (writer, epoch, sequence) and on the spool before it is answered;
2. the shipper deletes it only after the broker has acknowledged it, and has at most one record of a stream in flight, so that
   sequences in Kafka never go backwards except to repeat;
3. the sink writes rows and their high watermarks in one commit, and skips rows at or below a high watermark.
"""
