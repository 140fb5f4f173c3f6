"""The thesis of Paul (2024): reconstruction from moments and by variance-reduced methods."""
