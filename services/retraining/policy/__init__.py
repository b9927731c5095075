"""The policy: pure functions from a cause and the history to a decision with its reason.

Automation levels (`automation` in loop.yaml):

    observe   records the decision; nothing starts, not even on request
    suggest   records a run that waits for a person to start it; after the gate it waits for a person to promote it
    retrain   runs up to the gate and ends as `succeeded`: the version is stored, and a person may deploy it; the next cause may
              start another run
    approve   like auto, but the run stays open as `waiting_for_approval` until a person approves this gate result; it is refused
              if the champion changed meanwhile, and no other run starts while it waits
    auto      promotes a version that passes the gate

At every level: if the champion cannot be compared with the challenger (it takes features the loop no longer has), a run that
passed all other checks is `waiting_for_approval`. No release is replaced automatically without a comparison.
"""
