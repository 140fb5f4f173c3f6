"""A job folder rendered as one self-contained HTML file."""
