"""The YOLO layout of detection data."""
