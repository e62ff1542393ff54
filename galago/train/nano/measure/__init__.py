"""What generalises: a model's figures on sources that were held out whole, beside its splits."""
