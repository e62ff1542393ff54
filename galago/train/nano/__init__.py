"""The trainer of the embedded models, fastvlm-nano and mobileclip2-nano, made for two CPU cores."""
