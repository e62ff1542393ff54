"""What people show: pictures, videos, cameras, the screen, made ready to be looked at."""
