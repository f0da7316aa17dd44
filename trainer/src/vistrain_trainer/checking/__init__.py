"""Whether a prepared data set is what it should be: figures against bounds, pictures to look at."""
