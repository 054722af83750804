import { render } from "preact";
import { Controller } from "./controller.ts";
import { App } from "./view/app.tsx";

const controller = new Controller();
render(<App controller={controller} />, document.getElementById("page") as HTMLElement);
void controller.start();
