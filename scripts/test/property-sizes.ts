import fc from "fast-check";

// Without this, fast-check builds lists and texts of at most ten, whatever maximum a property names.
fc.configureGlobal({ ...fc.readConfigureGlobal(), defaultSizeToMaxWhenMaxSpecified: true });
