"""What the commands of `homeostat inject` share."""
