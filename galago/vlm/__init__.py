"""FastVLM: a picture is looked at once, a question is answered token by token."""
