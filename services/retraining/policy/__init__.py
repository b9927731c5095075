"""Deciding, and nothing else: pure functions from a cause and the past to a decision with its reason.

How far the loop goes by itself (`automation` in loop.yaml):

    observe   writes down what it would do; nothing starts, not even on request
    suggest   records a run that waits for a person to start it; once proven it waits again for a person to promote it
    retrain   runs up to the gate and ends there, `succeeded`: the version is kept, and deploying it is a person's own act;
              the loop is free for the next cause
    approve   like auto, but the run stays open, `waiting_for_approval`: the promotion is the loop's, made once a person says yes
              to this very gate result, and refused if the champion changed meanwhile; no other run starts while it waits
    auto      promotes what the gate lets through

Whatever the level: where the champion could not be held against the challenger (it takes features the loop no longer has), a run
that passed everything else is `waiting_for_approval`. The loop never undoes a release by itself without having compared.
"""
