"""What is measured of FastVLM and its peers."""
