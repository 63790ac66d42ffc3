export async function configurationPage() {
  return "# Configuration\n";
}
