"""What is measured of MobileCLIP, of albums, and of their peers."""
