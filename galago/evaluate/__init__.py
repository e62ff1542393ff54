"""How good a model is: questions with known answers, asked and judged."""
