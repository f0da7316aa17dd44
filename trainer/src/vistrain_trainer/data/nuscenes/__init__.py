"""nuScenes v1.0: tables read, boxes projected and interpolated, data sets written."""
