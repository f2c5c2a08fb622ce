"""The parts of the local engine: supervisor, gateway, controller, model servers, Prometheus."""
