"""The web page: a channel to talk in, the personas, the trainings and the approval list."""
