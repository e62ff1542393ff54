"""What is measured of MobileCLIP, albums and their peers."""
