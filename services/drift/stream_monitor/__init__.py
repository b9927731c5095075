"""Stream detection at work: reads the predictions topic, keeps tiles by event time, turns alarms into verdicts."""
