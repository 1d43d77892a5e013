"""The main loop: harvest, plan, submit."""
