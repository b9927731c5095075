"""Tokens of an identity provider (OpenID Connect): its keys, their verification, and what a token's holder may do."""
