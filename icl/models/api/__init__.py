"""Hosted models: OpenAI, Anthropic and every compatible server."""
