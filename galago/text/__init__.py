"""What people say: tokens, the chat template, ready questions, sentences for labels."""
