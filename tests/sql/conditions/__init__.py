"""What conditions on input do, wherever they are decided."""
