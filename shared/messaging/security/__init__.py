"""How clients of Kafka encrypt their connections and authenticate themselves."""
