// Adds the commits that come to the page. The server has made and escaped the HTML of each.
const list = document.getElementById("commits");
const note = document.getElementById("live");
const stream = new EventSource(list.dataset.stream);
const MOST = 200;

stream.onopen = () => { note.textContent = "Live: commits appear as they happen."; };
stream.onerror = () => { note.textContent = "Not connected. The page tries again."; };
stream.addEventListener("commit", (event) => {
  if (document.getElementById("v" + event.lastEventId)) return;
  list.insertAdjacentHTML("afterbegin", event.data);
  list.firstElementChild.classList.add("new");
  while (list.children.length > MOST) list.lastElementChild.remove();
});
