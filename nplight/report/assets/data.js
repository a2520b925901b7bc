// The data of the page.

const data = JSON.parse(await unpack("data"));
