"""One retraining: snapshot, train, package, evaluate, gate."""
