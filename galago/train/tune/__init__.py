"""Fine-tuning FastVLM on one's own pictures and questions: what is read, checked and learnt."""
