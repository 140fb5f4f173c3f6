"""The method of moments: what averages of products of observations tell of object and poses, without any pose."""
