"""The person's door, `homeostat …`: starts the services on one machine, talks to them over HTTP, and diagnoses."""
