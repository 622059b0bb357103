"""Open exercises, ranked by what the grader measured."""
