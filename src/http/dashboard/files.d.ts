/** Files of the dashboard, imported as text. */
declare module "*.page.js" {
  const text: string
  export default text
}
declare module "*.html" {
  const text: string
  export default text
}
declare module "*.css" {
  const text: string
  export default text
}
