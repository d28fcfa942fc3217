"""The recorder: predictions, segments and station events become rows of a database."""
