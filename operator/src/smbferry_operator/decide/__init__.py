"""Pure decisions: an Observation and the time go in, a Decision comes out. No IO, no clock, no Kubernetes client."""
