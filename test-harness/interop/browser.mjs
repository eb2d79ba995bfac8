// What a browser does with cookies: it keeps what it is given, and sends back names and values as they are.

/** The Cookie header after these Set-Cookie lines. */
export function cookieHeader(lines) {
  const kept = new Map();
  for (const line of lines) {
    const [pair, ...attributes] = line.split(";");
    const [name, value] = [pair.slice(0, pair.indexOf("=")).trim(), pair.slice(pair.indexOf("=") + 1)];
    if (attributes.some((attribute) => /^\s*max-age=0\s*$/i.test(attribute))) kept.delete(name);
    else kept.set(name, value);
  }
  return [...kept].map(([name, value]) => `${name}=${value}`).join("; ");
}
