"""The server beside clients that nobody here wrote: llm, mcp, schemathesis (`make api`)."""
