"""aiokafka's clients: opened, steered around brokers that hang, and closed with nothing left over."""
