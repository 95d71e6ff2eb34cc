"""The account on X that posts by itself. `frontend.XFrontend` is the way in."""
