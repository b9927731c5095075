"""`homeostat import`: rows of history are read from files, checked, and sent to the prediction log."""
