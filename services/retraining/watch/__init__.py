"""The test of a watched release: paired losses in blocks of event time, judged by a test that may be looked at any time. Pure."""
