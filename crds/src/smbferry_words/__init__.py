"""The words that the API and the engine both use, each defined once: options, states, failure classes and reasons.

It imports only the standard library, so that the engine depends neither on the API nor on pydantic.
"""
