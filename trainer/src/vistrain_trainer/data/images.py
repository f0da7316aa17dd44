"""Decoding of image files."""

from __future__ import annotations

import cv2
import numpy as np
import simplejpeg


def decode(data: bytes) -> np.ndarray:
    """Decode a JPEG or PNG into a contiguous (H, W, 3) uint8 array in BGR order.

    JPEG goes through libjpeg-turbo with the exact DCT (measured twice as fast as OpenCV's reader), everything
    else through OpenCV. The pixels are taken as stored: an EXIF orientation is not applied, as COCO boxes
    refer to the stored pixels.

    Raises:
        ValueError: the bytes are not a whole image.
    """
    if simplejpeg.is_jpeg(data):
        return np.asarray(simplejpeg.decode_jpeg(data, colorspace="BGR", fastdct=False, fastupsample=False))
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    image = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    if image is None:
        raise ValueError("not a JPEG or PNG, or cut short")
    return np.asarray(image)
