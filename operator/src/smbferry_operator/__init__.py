"""The operator: watches objects of our four kinds, and creates runs and Jobs from them.

Data flows one way: `cluster.kopf_events` delivers an event → `watch` turns it into keys → the work queue of `reconcile`
→ `observe` reads the cache into an Observation → `decide` returns a Decision → `cluster.apply` carries it out.
"""
