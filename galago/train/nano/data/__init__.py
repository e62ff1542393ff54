"""What the embedded models learn from: pictures, emoji, fonts, words, captions, a teacher."""
