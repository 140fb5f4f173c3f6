"""What chapter 4 of Paul (2024) leaves open: variance-reduced methods on volumes."""
