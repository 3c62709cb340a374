"""How figures are laid out: text measured, pages, axes, scales and legends."""
