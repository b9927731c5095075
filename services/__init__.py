"""The four services. They never import each other: data meets between them on topics, in the lake and in the release log."""
