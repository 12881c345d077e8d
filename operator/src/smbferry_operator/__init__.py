"""The operator: watches the four kinds and makes of them Jobs, conditions and runs.

Data flows one way: an event names an object → the work queue → `cluster.observe` gives a frozen Observation →
`decide` gives a Decision → `cluster.apply` carries it out. Nothing is remembered that can't be seen again.
"""
